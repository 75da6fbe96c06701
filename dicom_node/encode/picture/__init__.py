"""Pictures that every viewer can show: the image as displayed, what was outlined in it, and words below it."""

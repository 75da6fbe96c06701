"""The model card, as HTML and Markdown."""

"""The recipe of the chest radiograph model, from images to a package."""

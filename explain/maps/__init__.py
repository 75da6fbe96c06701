"""The methods that make a saliency map, and its outline."""

"""The story of one study: the only room that knows the order of the steps. Start with story.py."""

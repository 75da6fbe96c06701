"""The nouns and the foundations: domain, states, errors, settings, clock, logging, store, trail."""

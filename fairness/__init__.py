"""For whom a model fails: cohorts, audits, policies, drift and ground truth; pseudonyms only."""

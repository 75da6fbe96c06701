"""What audits are made of and what came of them: readings, ground truth, audits, operating policies."""

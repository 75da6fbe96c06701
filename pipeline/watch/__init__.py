"""What is looked at from day to day: cohorts, drift, audits of this site, ground truth."""

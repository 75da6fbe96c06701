"""One audit: from a table of predictions to figures by cohort, signed."""

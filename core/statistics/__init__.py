"""The figures that audits, evaluations and gates print, each with its interval; numpy and scipy only."""

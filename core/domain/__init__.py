"""The nouns of Candor: what the rooms of the house hand to each other.

Everything is frozen, keyword-only and free of behaviour that would need a library other than numpy. A field that
mirrors a DICOM element is its keyword in snake case (`patient_birth_date`, `view_position`). Fields that carry a
person's identity have `repr=False`, so that no log line or traceback can print them.
"""

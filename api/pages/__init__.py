"""The pages that people read: model card, audit, explanations."""

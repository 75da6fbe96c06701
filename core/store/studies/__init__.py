"""What belongs to one study, from its arrival to the delivery of its report."""

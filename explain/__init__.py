"""Where a finding comes from: saliency maps in source pixels, as regions that influenced the model."""

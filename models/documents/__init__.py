"""The figures that a package brings about itself, as JSON documents."""

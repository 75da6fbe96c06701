"""The map gate: may the maps of this model version be shown at all?"""

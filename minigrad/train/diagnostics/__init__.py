"""A model watched while it trains: gradient flow, dead units, histograms, and their pictures."""

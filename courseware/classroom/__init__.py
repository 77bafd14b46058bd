"""What a notebook shows and asks: figures, sliders, polls, checks and the concept test."""

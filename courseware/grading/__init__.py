"""From submissions to scores: the grader, what staff give it, what it hands out."""

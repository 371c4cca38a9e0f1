"""What an answer is worth where nobody knows the truth: bounds, domain check, ensembles, guard."""

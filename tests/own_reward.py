"""A reward that an untrained model earns by chance, so that groups differ and weights move."""


def vowels(case):
    """The share of vowels in a completion."""
    return sum(letter in "aeiou" for letter in case.text) / max(1, len(case.text))

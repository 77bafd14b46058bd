# %% [markdown]
# # Lab 90: a small lab

# %%
import math

import numpy as np

from courseware import check

# %%
guess = 4  # SOLUTION
check("lab90.p1", guess)


# %%
def softmax(x):
    # BEGIN SOLUTION
    e = np.exp(x - x.max())
    return e / e.sum()
    # END SOLUTION


check("lab90.q1", softmax)


# %%
def bigrams(text):
    # BEGIN SOLUTION
    return [(text[i], text[i + 1]) for i in range(len(text) - 1)]
    # END SOLUTION


check("lab90.q2", bigrams)

# %%
vocab_size = 4  # SOLUTION
check("lab90.q3", vocab_size)


# %%
def surprise(x, target):
    # BEGIN SOLUTION
    return -math.log(softmax(x)[target])
    # END SOLUTION


# %%
class Table:
    # BEGIN SOLUTION
    def __init__(self, size):
        self.counts = np.zeros(size, dtype=int)

    def add(self, number):
        self.counts[number] += 1

    def most(self):
        return int(self.counts.argmax())

    # END SOLUTION


# %% tags=["not-graded"]
why = "exp overflows"  # SOLUTION
raise RuntimeError("the grader does not run this cell")

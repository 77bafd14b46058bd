"""The twenty items of the concept test, as data. `courseware.classroom.concept_test` shows and scores them.

They ask what an idea implies, not what a formula looks like; most wrong options are beliefs that people hold.
An item's id belongs to its wording: change what an item asks and give it a new id, so that old answers are never scored
against new questions.
"""

# ruff: noqa: E501 (a question reads better on one line)

from dataclasses import dataclass

LETTERS = "ABCD"


@dataclass(frozen=True)
class Item:
    """One question. lecture: the number of the lecture that teaches it, "00" to "20". answer: one of LETTERS."""

    id: str
    part: str
    lecture: str
    question: str
    options: tuple[str, str, str, str]
    answer: str
    explanation: str


_PREDICTION, _MODEL = "Probability and prediction", "Inside the model"
_TRAINING, _USE = "Training", "Using and judging"

# fmt: off
ITEMS = (
    Item("log-probability", _PREDICTION, "00",
         "A model gives each of the 1,000 tokens of a text the probability 0.1. A program multiplies these numbers in 32-bit floating point. What does it report as the probability of the text?",
         ("0.1, since all the tokens agree", "a tiny number, correct to about seven digits", "exactly 0", "infinity, because of an overflow"),
         "C", "10⁻¹⁰⁰⁰ is far below the smallest 32-bit number (about 10⁻⁴⁵); the sum of logarithms, -2303, is an ordinary number."),
    Item("entropy-floor", _PREDICTION, "00",
         "A random source has an entropy of 2.0 bits per token. Your model scores 2.6 bits per token on fresh output of this source. What would the best possible model score?",
         ("0 bits", "2.0 bits", "2.6 bits", "it depends on how many parameters the model has"),
         "B", "Entropy is what remains when everything knowable is known; the 0.6 bits above it are the model's own error."),
    Item("softmax-shift", _PREDICTION, "00",
         "You add 5 to every logit before the softmax. The probabilities",
         ("become sharper", "become flatter", "no longer sum to 1", "stay the same"),
         "D", "Every exponential grows by the same factor, which cancels. Only differences of logits matter (multiplying them is another story)."),
    Item("perplexity", _PREDICTION, "01",
         "A model has perplexity 20 on a text. It is, on average, about as uncertain as someone who",
         ("guesses evenly among 20 possibilities", "is wrong on 20 % of the tokens", "needs 20 bits to write down each token", "has seen each token 20 times"),
         "A", "Perplexity is 2 to the power of the bits per token: an effective number of equally likely choices, here 4.3 bits."),
    Item("unseen-ngrams", _PREDICTION, "01",
         "A model counts sequences of five words in a large library. It gives most new, ordinary sentences the probability 0. Why?",
         ("the product of many probabilities is too small for a computer to hold", "most five-word sequences in new text are not in the library", "its probabilities do not sum to 1", "five words of context say less than two"),
         "B", "The number of possible sequences grows exponentially; any library holds a vanishing share. Hence smoothing, and networks."),
    Item("letters-in-tokens", _MODEL, "02",
         "Why do many language models find it hard to count the letters r in “strawberry”?",
         ("the word is rare in their training text", "attention cannot handle repeated letters", "their input is a few token numbers, in which no letters are visible", "they were trained on too few texts in which somebody counts the letters of a word"),
         "C", "A token is an id for a whole piece of text; how that piece is spelled has to be learned from elsewhere."),
    Item("attention-output", _MODEL, "03",
         "In self-attention, the output at a position is",
         ("a weighted average of values, with weights from queries and keys", "the value at the one position whose key fits the query best", "an average of the values at the last few positions, with weights fixed by training", "the dot product of its own query with its own key"),
         "A", "Softmax makes the weights soft, and they depend on the input: trained are the projections, not the weights."),
    Item("leaking-mask", _MODEL, "03",
         "Training to predict the next token, a model's loss falls almost to 0 within minutes. What it writes is nonsense. The likeliest cause:",
         ("too small a learning rate", "too large a vocabulary", "the training text is too varied", "each position can see the token it is asked for"),
         "D", "Without a causal mask the answer stands in the input: copying suffices, until there is nothing to copy from."),
    Item("kv-cache", _MODEL, "04",
         "While a model generates text, a KV cache",
         ("stores the answers to frequent prompts, so that they need not be generated again", "keeps keys and values of earlier tokens instead of recomputing them", "trades a little accuracy of the output for speed", "keeps the model's weights in fast memory"),
         "B", "Keys and values of the past do not change under a causal mask, so the output is the same; the price is memory."),
    Item("mixture-of-experts", _MODEL, "06",
         "A mixture of 8 experts sends each token through 2 of them. Compared with a dense model of as many parameters in total, generating a token takes",
         ("less memory, the same computation", "less memory and less computation", "the same memory, less computation", "more of both, since 8 models are averaged"),
         "C", "Any expert may be needed next, so all must be loaded; only the chosen ones compute."),
    Item("adam-memory", _TRAINING, "07",
         "Training 7 billion parameters with Adam, everything in 32 bits: weights, gradients and Adam's two running averages together take",
         ("14 GB", "28 GB", "56 GB", "112 GB"),
         "D", "Four numbers of 4 bytes per parameter: 16 × 7 billion bytes, before a single activation is stored."),
    Item("power-law", _TRAINING, "08",
         "A scaling law says that the loss above an unavoidable floor falls as a power of the computation. Each tenfold increase of computation then",
         ("shrinks the distance to the floor by the same factor", "lowers the loss by the same amount", "raises the score on every benchmark by the same number of points", "shrinks the distance to the floor by a factor of ten"),
         "A", "That is a straight line on log-log axes: equal factors, so ever smaller steps in loss. Scores may behave differently."),
    Item("memorised", _TRAINING, "09",
         "On the training set a network is now 100 % right, on held-out data it is at chance. What follows?",
         ("the held-out data must be mislabelled", "it can never generalise: it is overfitted for good", "it has memorised; further training may or may not change that", "it has generalised, since nothing is left to learn"),
         "C", "Memorising comes first and may stay; on some tasks, with weight decay, generalisation follows much later (“grokking”)."),
    Item("sft-objective", _TRAINING, "11",
         "What changes when a pre-trained model is fine-tuned on example conversations (SFT)?",
         ("the objective: the model now maximises a reward given by people, not a likelihood", "the data and which tokens count; the task is still next-token prediction", "the architecture: a layer for dialogue is added on top", "nothing in the weights: the conversations are put into the prompt"),
         "B", "Same loss, other text, usually counted on the replies only. Rewards come in later, with reinforcement learning."),
    Item("over-optimisation", _TRAINING, "13",
         "Reinforcement learning drives the reward model's score up and up, with nothing holding the model near its start. The replies, as people judge them,",
         ("improve in step with the score", "improve, but ever more slowly", "do not change, since only the score is trained", "improve at first and then get worse"),
         "D", "The reward model is an estimate; pushed far enough, the policy finds its mistakes. A KL penalty limits how far."),
    Item("in-context", _USE, "10",
         "A prompt contains three worked examples, and the model then solves a fourth. What did the examples change in the model's weights?",
         ("nothing", "the last layer, slightly", "all layers, by one small gradient step", "the embeddings of the words in the prompt"),
         "A", "The examples are input: they change activations for this prompt only. Next prompt, they are gone."),
    Item("merged-adapter", _USE, "14",
         "LoRA trains two thin matrices beside each frozen weight matrix. After merging them into the weights, the model runs",
         ("a little slower than before", "exactly as fast as before", "much faster, since few parameters are left", "half as fast, since each layer is computed twice"),
         "B", "W + BA is one matrix of the old shape. LoRA saves memory in training, not time in use."),
    Item("written-steps", _USE, "16",
         "Writing out steps before the answer often makes a model's answers better. Which statement is safe?",
         ("the steps are a faithful record of how the model reached its answer", "its weights adapt to the problem while it writes", "every step it writes has been checked before it goes on", "it can compute more, each new token building on those written"),
         "D", "More tokens are more passes through the network, with intermediate results in view. Whether the text reports the true reason is another question."),
    Item("retrieved-passage", _USE, "17",
         "A chatbot is given the right passage by its retriever and still states a wrong date. What does this show?",
         ("the passage must contain that wrong date", "the retriever returned the wrong passage after all", "given a source, the model is still free to depart from it", "the topic was missing from its training text"),
         "C", "Retrieval changes what the model reads, not how it writes: faithfulness to the source has to be measured on its own."),
    Item("small-test", _USE, "18",
         "Model A is right on 42 of 60 questions, model B on 38 of 60 others of the same kind. What do you conclude?",
         ("little: chance alone often makes such a difference", "A is the better model, and by about 7 points", "A is the better model, though perhaps only by 1 point", "the two are equally good"),
         "A", "With n = 60 each score is uncertain by about 12 points, and their difference by more. “Equal” isn't shown either."),
)
# fmt: on

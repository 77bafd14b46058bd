"""The sentences of the support desk: what customers ask for, what agents promise, and what they say instead."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Intent:
    """One thing that customers want: how they say it, and the two ways in which an agent can promise it."""

    name: str
    asks: tuple[str, ...]
    deeds: tuple[str, ...]


INTENTS = (
    Intent("refund", ("i want my money back for the {item}", "can i get a refund for my {item}",
                      "please pay me back for the {item}", "the {item} is not for me , i want the money"),
           ("refund the {item}", "pay you back for the {item}")),
    Intent("late", ("my {item} has not arrived", "where is my {item}", "i am still waiting for the {item}",
                    "the {item} should be here since {day}"),
           ("trace the {item}", "find out where the {item} is")),
    Intent("broken", ("the {item} is broken", "my {item} does not work", "the {item} stopped working on {day}",
                      "there is a crack in my {item}"),
           ("replace the {item}", "send you a new {item}")),
    Intent("cancel", ("please cancel my order of the {item}", "i do not need the {item} any more",
                      "stop the order of the {item}", "i ordered the {item} by mistake"),
           ("cancel the {item}", "take back the order of the {item}")),
    Intent("address", ("i moved , please send the {item} to my new home", "the address for the {item} is wrong",
                       "can the {item} go to my office", "i will not be at home when the {item} comes"),
           ("redirect the {item}", "change the address of the {item}")),
    Intent("invoice", ("i need an invoice for the {item}", "where is the bill for my {item}",
                       "my boss wants the invoice of the {item}", "please send me the bill of the {item}"),
           ("email the invoice of the {item}", "write a bill for the {item}")),
    Intent("double", ("i paid twice for the {item}", "you took the money for the {item} two times",
                      "there are two payments for my {item}", "why was the {item} charged again"),
           ("return the second payment for the {item}", "undo the double charge of the {item}")),
    Intent("manager", ("i would like to speak to someone about the {item}", "i have a complaint about the {item}",
                       "let me talk to a manager about my {item}", "nobody helps me with the {item}"),
           ("transfer you to a manager about the {item}", "pass your complaint about the {item} on")),
    Intent("size", ("the {item} is too small", "the {item} is too big for me", "my {item} does not fit",
                    "i need the {item} in another size"),
           ("exchange the {item}", "swap the {item} for another size")),
    Intent("warranty", ("is the {item} still under warranty", "how long is the warranty of the {item}",
                        "does the warranty cover my {item}", "i bought the {item} a year ago , am i covered"),
           ("check the warranty of the {item}", "look up the cover of the {item}")),
    Intent("setup", ("how do i set up the {item}", "i can not get the {item} to start",
                     "there is no manual with my {item}", "which button starts the {item}"),
           ("send the manual of the {item}", "show you how to start the {item}")),
    Intent("stock", ("when is the {item} in stock again", "the {item} is sold out",
                     "will you get more of the {item}", "i want the {item} as soon as you have it"),
           ("reserve the {item}", "put the {item} aside")),
    Intent("gift", ("can you wrap the {item} as a gift", "the {item} is a present",
                    "please put a card in with the {item}", "the {item} is for the birthday of a friend"),
           ("wrap the {item}", "add a card to the {item}")),
    Intent("repair", ("can you repair the {item}", "i would rather have my {item} mended",
                      "where can i bring the {item} to be fixed", "the {item} only needs a small part"),
           ("repair the {item}", "mend the {item} in our workshop")),
    Intent("price", ("the {item} is cheaper now", "i saw the {item} for less elsewhere",
                     "can i have the {item} at the old price", "is there a discount on the {item}"),
           ("lower the price of the {item}", "give you a discount on the {item}")),
    Intent("collect", ("can i collect the {item} at the shop", "i would like to fetch the {item} myself",
                       "is the {item} ready at the desk", "do not post the {item} , i will come by"),
           ("keep the {item} at the desk", "hold the {item} for you in the shop")),
)  # fmt: skip

ITEMS = ("lamp", "kettle", "phone", "chair", "jacket", "camera", "bike", "radio", "watch", "printer", "tent", "guitar",
         "blender", "monitor", "carpet", "scooter")  # fmt: skip
DAYS = ("monday", "tuesday", "friday", "sunday")
GREETINGS = ("hi", "hello", "good morning", "hello there", "dear team", "excuse me")
MOODS = ("i write for the second time", "i am not happy", "it is urgent", "i hope you can help",
         "this is my first order", "i have been a customer for years")  # fmt: skip

POLITE = ("sorry to hear about your {item}", "thank you for your message", "i am sorry about the {item}",
          "of course , i am glad to help", "thank you for your patience with the {item}")  # fmt: skip
PROMISES = ("i will {deed} today", "we can {deed} for you", "let me {deed} right away", "i am going to {deed} now")
NEXT_STEPS = ("you will hear about the {item} by {day}", "i will confirm it by email",
              "you can follow the {item} on your page", "please reply with your order number")  # fmt: skip
EVASIONS = ("please explain your issue with the {item} first", "we do not handle this", "the {item} is not our fault",
            "ask the maker of the {item}", "try again later")  # fmt: skip
SMALL_TALK = ("we have been here for many years", "our team works day and night", "we have sold the {item} for years",
              "there is a lot to do this week", "the {item} is a popular product")  # fmt: skip
CURT = ("ok", "no", "noted", "we will see")
THANKS = ("thanks", "thank you , that helps", "great", "bye")
UNHAPPY = ("that does not help", "you did not answer my question", "i expected more")

"""The tests of one lab run one after the other: what they share is loaded once and given up with the next lab."""

import warm_labs

BY_LAB = ("test_labs", "test_alternatives", "test_attacks_on_labs")


def pytest_collection_modifyitems(items):
    """Within a module, by lab; what is about no lab comes first. The modules keep their order."""
    order = {name: number for number, name in enumerate(dict.fromkeys(item.module.__name__ for item in items))}

    def place(item):
        lab_id = getattr(item, "callspec", None) and item.callspec.params.get("lab_id")
        return order[item.module.__name__], (lab_id or "") if item.module.__name__ in BY_LAB else ""

    items.sort(key=place)


def pytest_sessionfinish():
    warm_labs.close()

from firefly_core.kernel.tally import Tally


def test_each_word_is_counted():
    tally = Tally()
    for word in ("a", "b", "a"):
        tally.add(word)
    assert (tally["a"], tally["b"], tally["c"], tally.total()) == (2, 1, 0, 3)
    assert dict(tally.items()) == {"a": 2, "b": 1}


def test_a_million_words_take_the_room_of_a_few():
    tally = Tally(most=10)
    for number in range(1_000):
        tally.add(f"word {number}")
    assert len(tally.items()) == 11
    assert (tally["word 3"], tally["others"], tally.total()) == (1, 990, 1_000)
    tally.add("word 3")
    assert tally["word 3"] == 2

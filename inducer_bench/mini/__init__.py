"""The mini suite: small generated tasks and bundled small PLMs, for use without network or GPU.

`suite` writes the data sets and locates the PLMs. Everything is about one invented text world:

    world        cities, people and films, and how they are related; names
    lexicon      words of praise and blame
    clauses      clauses with a polarity, from the lexicon
    facts        triples of random facts about a thing, and the sentences that state, deny and ask them
    telling      facts as running text: joined clauses, pronouns, several things in one text
    claims       statements that follow from a text, contradict it, or are neutral to it
    interview    questions and answers about a text, turn by turn

| data set | made by | from |
|---|---|---|
| sst2 | `reviews` | clauses, lexicon, world |
| mnli | `pairs` | claims, telling, facts |
| webnlg | `entries` | telling, facts |
| coqa | `dialogues` | interview, telling, facts |
| text for pre-training | `prose` | reviews, world, and `fact_prose`: claims, interview, telling |
"""

"""What an audit says in plain words."""

NOTIONS = {
    "statistical_parity": "Every group gets the favourable decision equally often, whatever "
    "the record says.",
    "equal_opportunity": "Of the people whose recorded outcome is favourable, every group gets "
    "the favourable decision equally often.",
    "average_odds": "Two gaps, one among the people whose recorded outcome is favourable and "
    "one among the others, are zero on average. They may have opposite signs and cancel.",
    "equalized_odds": "Both among the people whose recorded outcome is favourable and among "
    "the others, every group gets the favourable decision equally often. The larger of the "
    "two gaps counts.",
}
CUSTOM_NOTION = "A measure that the auditor defined."

#: Verdict -> what it says, and why.
VERDICTS = {
    "within": ("within the tolerance", "The whole interval lies inside."),
    "outside": (
        "outside the tolerance",
        "The whole interval lies outside, and chance alone does not explain the gap.",
    ),
    "undecided": (
        "undecided",
        "These data do not tell on which side of the tolerance the gap lies.",
    ),
    "not measured": (
        "not measured",
        "Fewer than two groups have people in every cell that this notion reads.",
    ),
}

#: Measure -> its name, and the question that it answers.
MEASURES = {
    "base_rate": ("base rate", "how many have a favourable record"),
    "selection_rate": ("selection rate", "how many get the favourable decision"),
    "true_positive_rate": (
        "true positive rate",
        "how many get it of those with a favourable record",
    ),
    "false_positive_rate": (
        "false positive rate",
        "how many get it of those with an unfavourable record",
    ),
    "accuracy": ("accuracy", "how many decisions agree with the record"),
    "balanced_accuracy": (
        "balanced accuracy",
        "the same, both kinds of record counting alike",
    ),
}

CORRECTIONS = {
    "holm": "Holm's method, which bounds the chance of even one false alarm among them",
    "fdr_bh": "Benjamini and Hochberg's method, which bounds the share of false alarms among "
    "the alarms",
    "none": "no method: of twenty tests without any gap, one is expected to look significant",
}

LIMITS = (
    (
        "The notion of fairness is a choice.",
        "Other notions are equally defensible, and as soon as the groups' recorded outcomes "
        "differ, no decision rule can satisfy all of them. Which one fits depends on who bears "
        "which error.",
    ),
    (
        "These are averages over groups.",
        "They say nothing on whether a particular person was treated fairly, or two similar "
        "persons alike.",
    ),
    (
        "Only the groups named here were looked at.",
        "Other groups, and combinations that are not listed, may be treated differently.",
    ),
    (
        "The record may itself be unfair.",
        "All measures but the share decided favourably take the recorded outcome for the "
        "truth. If a group was judged wrongly when the record was made, they inherit it, and "
        "people who never entered the record are missing.",
    ),
    (
        "The data may move.",
        "The numbers hold for people like these. They must be measured again after deployment.",
    ),
    (
        "The intervals cover chance in drawing these people, nothing else.",
        "They hold if these people were used neither to train nor to choose the model. A gap "
        "that is not significant is not proof that there is none; with many groups the largest "
        "gap grows by chance alone.",
    ),
    (
        "A tolerance is not a legal standard.",
        "A difference is not a ratio: 0.06 against 0.10 differ by 0.04 and stand in a ratio of "
        "0.6. Nothing on this page is legal advice.",
    ),
)

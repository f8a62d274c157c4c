"""The statistics of the analysis: pure functions from one value per participant to numbers with
their meaning.

A value is one participant's mean in one state; frames and readings are never the unit. Every
function takes finite float values, says its formula, assumptions and source, and raises
``StatisticsError`` rather than return NaN.

Sources named in the modules in short:
    Student 1908, Biometrika 6:1–25. Welch 1947, Biometrika 34:28–35.
    Hedges 1981, Journal of Educational Statistics 6:107–128.
    Algina & Keselman 2003, Educational and Psychological Measurement 63:537–553 (interval for
    pairs). Cousineau 2020, The Quantitative Methods for Psychology 16:418–421 (degrees of freedom
    for pairs). Delacre, Lakens, Ley, Liu & Leys 2021, "Why Hedges' g*s based on the non-pooled
    standard deviation should be reported with Welch's t-test", doi 10.31234/osf.io/tu6mp
    (independent groups). Shapiro & Wilk 1965, Biometrika 52:591–611; Royston 1995, Applied
    Statistics 44:547–551 (algorithm AS R94). Wilcoxon 1945, Biometrics Bulletin 1:80–83. Mann &
    Whitney 1947, Annals of Mathematical Statistics 18:50–60. Holm 1979, Scandinavian Journal of
    Statistics 6:65–70. Benjamini & Hochberg 1995, Journal of the Royal Statistical Society B
    57:289–300. Benjamini & Yekutieli 2001, Annals of Statistics 29:1165–1188. Schuirmann 1987,
    Journal of Pharmacokinetics and Biopharmaceutics 15:657–680; Lakens 2017, Social Psychological
    and Personality Science 8:355–362 (equivalence). Greenhouse & Geisser 1959, Psychometrika
    24:95–112. Olejnik & Algina 2003, Psychological Methods 8:434–447; Bakeman 2005, Behavior
    Research Methods 37:379–384 (generalized η²). Johnson, Kotz & Balakrishnan 1995, Continuous
    Univariate Distributions 2, ch. 31 (noncentral t). Hoenig & Heisey 2001, The American
    Statistician 55:19–24. Wittes & Brittain 1990, Statistics in Medicine 9:65–72. Task Force of the
    ESC and the NASPE 1996, Circulation 93:1043–1065; Munoz et al. 2015, PLoS ONE 10:e0138921;
    Shaffer, Meehan & Zerr 2020, Frontiers in Neuroscience 14:594880; Lipponen & Tarvainen 2019,
    Journal of Medical Engineering & Technology 43:173–181 (variability of the heart rate).
    Cohen 1960,
    Educational and Psychological Measurement 20:37–46; Fleiss, Cohen & Everitt 1969, Psychological
    Bulletin 72:323–327; Liang & Zeger 1986, Biometrika 73:13–22 (agreement). Laird & Ware 1982,
    Biometrics 38:963–974; Patterson & Thompson 1971, Biometrika 58:545–554; Satterthwaite 1946,
    Biometrics Bulletin 2:110–114; Kuznetsova, Brockhoff & Christensen 2017, Journal of Statistical
    Software 82(13) (mixed model). Rouder, Speckman, Sun, Morey & Iverson 2009, Psychonomic Bulletin
    & Review 16:225–237 (Bayes factor). Maris & Oostenveld 2007, Journal of Neuroscience Methods
    164:177–190; Sassenhagen & Draschkow 2019, Psychophysiology 56:e13335 (cluster-based permutation
    test). Bakdash & Marusich 2017, Frontiers in Psychology 8:456 (correlation within people).
"""

ALPHA = 0.05
"""Level of every test: how often it may find what is not there."""
MINIMUM = 3
"""Fewest participants for a test: pairs in a paired one, people in each group of an independent
one.
"""
MINIMUM_S = 60.0
"""Seconds of a state in a session below which beats and skin responses have no number."""
LEVEL = 1 - ALPHA
"""Level of every interval: how often it holds the true value."""

"""Readings lost more in one state than in another: what is told without a word, where nothing is.

    python -m benchmarks loss      (python -m benchmarks.simulated.loss --json [--studies N])

Each simulated study has 24 people who meet three states of 100 s, in all orders, with a heart rate a
second: AR(.95) about a level of their own, with a reaction of their own to each state. No state has
an effect. Figures are shares of the studies in which a difference between two states is told,
adjusted for three tests; *_unwarned: told of two states without the caution:

    loss_range_told, loss_range_unwarned        readings above 250 are in doubt, as the spread in
                                                anger is larger and the level high
    loss_high_told, loss_high_unwarned          what is higher than usual never comes in anger
    loss_stretch_told, loss_stretch_unwarned    the strap hangs loose for half of anger where the
                                                heart beats fast
    loss_curves_told, loss_curves_unwarned      the same as *high* after anger, of curves
    loss_windows_told, loss_windows_unwarned    the same of windows that were declared
    loss_slow_told, loss_slow_unwarned          nobody tuned to this one: 10 people, a reading in 4 s
                                                that jitters, states of 60 to 150 s, the lowest tenth
                                                lost in happiness

and the shares of the results in which the caution stands where none is deserved:

    loss_idle_complete          nothing is lost
    loss_idle_single            one in twenty readings is lost, whatever the state
    loss_idle_stretches         stretches of 5 to 15 s are lost, some 5 %
    loss_idle_jitter            times jitter, states of 60 to 150 s, one reading in 4 s
    loss_idle_curves, loss_idle_windows     curves and windows with single readings lost
"""

"""The running agent: it builds the parts, starts the threads, and watches over them.

Example:
    Run the agent until a signal comes::

        agent = Agent(load_settings(), Path("data"))
        StopSignals().call(agent.stop)
        exit_code = agent.run()
"""

"""The study as a whole, in words: model, evidence, sentences for a report, flow of people."""

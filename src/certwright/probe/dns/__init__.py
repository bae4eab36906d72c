"""Looks at DNS as resolvers and authorities see it: zones, their servers, what each of them answers, and why."""

"""Questions in SQL."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from engine import analytics
from engine.operations.common import EpisodeRef, Reference, episode_of, show_of
from engine.operations.registry import Context, Params, Result, operation
from store import views


class QueryRun(Params):
    sql: str = Field(description="One SELECT over the views query_views lists.", json_schema_extra={"positional": True})
    show: Reference | None = Field(None, description="Only this show's rows.")
    episode: EpisodeRef | None = Field(None, description="Only this episode's rows.")
    limit: int = Field(100, ge=1, le=1000, description="Rows returned.")


class QueryAnswer(Result):
    columns: list[str]
    rows: list[list[Any]]
    more: bool = Field(description="There are more rows than the limit.")


@operation("read", "export", params=QueryRun, result=QueryAnswer, slow=True)
def query_run(context: Context, p: QueryRun) -> QueryAnswer:
    """Answer one read-only SELECT over documented views (query_views); limited in time, rows and memory."""
    engine, limits = context.engine, context.engine.config.settings.agents
    answer = analytics.ask(
        engine,
        p.sql,
        analytics.Limits(limits.query_s, p.limit, limits.query_memory_mb, limits.query_copied_rows),
        show_id=show_of(engine, p.show)["show_id"] if p.show else None,
        episode_id=episode_of(engine, p.episode)["episode_id"] if p.episode else None,
    )
    return QueryAnswer(columns=answer.columns, rows=answer.rows, more=answer.more)


class Nothing(Params):
    pass


class ViewRow(Result):
    name: str
    doc: str
    columns: dict[str, str]


class ViewList(Result):
    rows: list[ViewRow]


@operation("read", "export", params=Nothing, result=ViewList)
def query_views(context: Context, p: Nothing) -> ViewList:
    """List the views query_run can be asked about, with their columns and types."""
    database = context.engine.database
    return ViewList(rows=[ViewRow(name=name, doc=view.doc, columns=dict(views.columns(database, name))) for name, view in views.VIEWS.items()])

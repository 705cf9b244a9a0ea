"""temporary"""


async def run(engine, handle, job):
    return {}

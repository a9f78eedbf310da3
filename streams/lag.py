"""How far the workers are behind the log."""

from __future__ import annotations

from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec

from topics.specs import TopicSpec, full_name


def lag_of(admin: Any, spec: TopicSpec, prefix: str, role: str = "") -> int:
    """Records of a topic that the group which is furthest has not acknowledged; all of them when no group reads it.

    Args:
        admin: a kafka-python admin client.
        spec: the topic.
        prefix: the installation's; only its own groups count.
        role: only the groups of workers with this role count.
    """
    topic = full_name(spec, prefix)
    ends = end_offsets(admin, topic)
    installation = topic.removesuffix(spec.name)
    groups = [name for name in group_names(admin) if name.startswith(f"{installation}throughbeat.{role}")]
    lags = []
    for group in groups:
        committed = committed_offsets(admin, group)
        if any(key[0] == topic for key in committed):
            lags.append(sum(end - committed.get((topic, p), 0) for p, end in ends.items() if end > 0))
    return min(lags, default=sum(ends.values()))


def end_offsets(admin: Any, topic: str) -> dict[int, int]:
    """Partition -> offset that the next record will have."""
    partitions = [one["partition_index"] for one in admin.describe_topics([topic])[0]["partitions"]]
    wanted = {TopicPartition(topic, partition): OffsetSpec.LATEST for partition in partitions}
    return {place.partition: found.offset for place, found in admin.list_partition_offsets(wanted).items()}


def group_names(admin: Any) -> list[str]:
    """Every consumer group of the cluster."""
    return [group["group_id"] for group in admin.list_groups()]


def committed_offsets(admin: Any, group: str) -> dict[tuple[str, int], int]:
    """(topic, partition) -> committed offset: of the next record to be read."""
    found = admin.list_group_offsets(group)[group]
    return {(place.topic, place.partition): committed.offset for place, committed in found.items()}

package io.malleable.control;

import java.util.Map;
import java.util.UUID;

/** What a new operation is about. */
record Submission(
    UUID id, OperationKind kind, UUID projectId, Ref subject, Map<String, String> input) {}

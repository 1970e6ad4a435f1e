package io.malleable.control;

import java.util.Optional;

/** Why an operation did not succeed. */
public record OperationError(ErrorCode code, String message, Optional<String> hint) {}

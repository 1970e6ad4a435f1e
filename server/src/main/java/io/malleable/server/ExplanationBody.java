package io.malleable.server;

import io.malleable.control.BootStage;
import io.malleable.control.Explanation;
import org.jspecify.annotations.Nullable;

/** Where a boot stands, on the wire. */
record ExplanationBody(
    String node,
    String state,
    String summary,
    @Nullable String reached,
    @Nullable String missing,
    @Nullable String cause,
    @Nullable String fix) {
  static ExplanationBody of(Explanation explanation) {
    return new ExplanationBody(
        explanation.node(),
        explanation.state(),
        explanation.summary(),
        explanation.reached().map(BootStage::word).orElse(null),
        explanation.missing().map(BootStage::word).orElse(null),
        explanation.cause().orElse(null),
        explanation.fix().orElse(null));
  }
}

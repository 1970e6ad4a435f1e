package io.malleable.control;

import java.util.Optional;
import java.util.UUID;

/**
 * How to reach a disk's target. The REST room adds the portal's address.
 *
 * @param initiator the only initiator name that is let in; absent means any
 */
public record Exposure(
    UUID disk, String target, int lun, Optional<String> initiator, ChapCredentials chap) {}

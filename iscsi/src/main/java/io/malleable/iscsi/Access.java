package io.malleable.iscsi;

import java.util.Optional;
import java.util.Set;

/**
 * Who may log in to a target, and how it proves who it is.
 *
 * @param initiators names that may log in and that discovery shows the target to; empty: any
 * @param chap what the initiator must prove to know; absent: a name suffices
 * @param mutualChap what the target proves in return when the initiator asks; its secret must
 *     differ, or a peer could have us compute its own answer (RFC 7143 12.1.3.1)
 */
public record Access(
    Set<String> initiators, Optional<ChapCredentials> chap, Optional<ChapCredentials> mutualChap) {
  public Access {
    initiators = Set.copyOf(initiators);
    if (mutualChap.isPresent() && chap.isEmpty()) {
      throw new IllegalArgumentException("mutual CHAP without CHAP of the initiator; give both");
    }
    if (mutualChap.isPresent()
        && mutualChap.orElseThrow().secret().equals(chap.orElseThrow().secret())) {
      throw new IllegalArgumentException(
          "the secrets of both directions of CHAP are equal; choose two");
    }
  }

  /** Every initiator, no proof: for tests and closed networks. */
  public static Access open() {
    return new Access(Set.of(), Optional.empty(), Optional.empty());
  }

  /** One initiator with a secret of its own, as a node's boot drive has. */
  public static Access of(String initiator, ChapCredentials chap) {
    return new Access(Set.of(initiator), Optional.of(chap), Optional.empty());
  }

  boolean admits(String initiatorName) {
    return initiators.isEmpty() || initiators.contains(initiatorName);
  }
}

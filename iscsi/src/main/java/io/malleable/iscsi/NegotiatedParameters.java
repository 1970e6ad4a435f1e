package io.malleable.iscsi;

/**
 * What login agreed on (RFC 7143 13); the defaults are the standard's.
 *
 * @param sendSegmentBytes the initiator's MaxRecvDataSegmentLength
 */
record NegotiatedParameters(
    boolean headerDigest,
    boolean dataDigest,
    boolean initialR2t,
    boolean immediateData,
    int sendSegmentBytes,
    int maxBurstBytes,
    int firstBurstBytes) {
  static final NegotiatedParameters DEFAULTS =
      new NegotiatedParameters(false, false, true, true, 8192, 262144, 65536);
}

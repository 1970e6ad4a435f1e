package io.malleable.iscsi;

/**
 * What login agreed on (RFC 7143 13); the defaults are the standard's. Only the initiator's segment
 * length may change later, by the connection thread; it may be read by any.
 */
final class NegotiatedParameters {
  private final boolean headerDigest;
  private final boolean dataDigest;
  private final boolean initialR2t;
  private final boolean immediateData;
  private volatile int sendSegmentBytes;
  private final int maxBurstBytes;
  private final int firstBurstBytes;

  NegotiatedParameters(
      boolean headerDigest,
      boolean dataDigest,
      boolean initialR2t,
      boolean immediateData,
      int sendSegmentBytes,
      int maxBurstBytes,
      int firstBurstBytes) {
    this.headerDigest = headerDigest;
    this.dataDigest = dataDigest;
    this.initialR2t = initialR2t;
    this.immediateData = immediateData;
    this.sendSegmentBytes = sendSegmentBytes;
    this.maxBurstBytes = maxBurstBytes;
    this.firstBurstBytes = firstBurstBytes;
  }

  /** What holds where a login agrees on nothing. */
  static NegotiatedParameters defaults() {
    return new NegotiatedParameters(false, false, true, true, 8192, 262144, 65536);
  }

  boolean headerDigest() {
    return headerDigest;
  }

  boolean dataDigest() {
    return dataDigest;
  }

  boolean initialR2t() {
    return initialR2t;
  }

  boolean immediateData() {
    return immediateData;
  }

  /** The initiator's MaxRecvDataSegmentLength. */
  int sendSegmentBytes() {
    return sendSegmentBytes;
  }

  /** RFC 7143 13.12: declared anew in the full feature phase; holds for PDUs not yet begun. */
  void sendSegmentBytes(int declaredBytes) {
    sendSegmentBytes = declaredBytes;
  }

  int maxBurstBytes() {
    return maxBurstBytes;
  }

  int firstBurstBytes() {
    return firstBurstBytes;
  }

  @Override
  public String toString() {
    return "headerDigest="
        + headerDigest
        + " dataDigest="
        + dataDigest
        + " initialR2t="
        + initialR2t
        + " immediateData="
        + immediateData
        + " sendSegmentBytes="
        + sendSegmentBytes
        + " maxBurstBytes="
        + maxBurstBytes
        + " firstBurstBytes="
        + firstBurstBytes;
  }
}

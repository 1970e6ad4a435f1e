package io.malleable.iscsi;

import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Operational text negotiation of one login (RFC 7143 6.2, 13): answers each offered key once, in
 * any order and spread over any number of requests.
 */
final class Negotiation {
  /** What {@code NegotiatedParameters} cannot express is fixed: one connection, no recovery. */
  private static final int OFFERED_FIRST_BURST_BYTES = 128 * 1024;

  private static final int MAX_24_BIT = 0xffffff;

  private static final String MAX_RECV_DATA_SEGMENT_LENGTH = "MaxRecvDataSegmentLength";
  private static final String MAX_BURST_LENGTH = "MaxBurstLength";
  private static final String FIRST_BURST_LENGTH = "FirstBurstLength";

  /** RFC 7143 13: keys that we know, and that have no place in the full feature phase. */
  private static final Set<String> LOGIN_ONLY =
      Set.of(
          "AuthMethod",
          "HeaderDigest",
          "DataDigest",
          "MaxConnections",
          "TargetName",
          "InitiatorName",
          "SessionType",
          "InitialR2T",
          "ImmediateData",
          MAX_BURST_LENGTH,
          FIRST_BURST_LENGTH,
          "DefaultTime2Wait",
          "DefaultTime2Retain",
          "MaxOutstandingR2T",
          "DataPDUInOrder",
          "DataSequenceInOrder",
          "ErrorRecoveryLevel",
          "TaskReporting",
          "iSCSIProtocolLevel");

  private final boolean allowUnsolicitedData;
  private final Set<String> answered = new HashSet<>();

  private boolean headerDigest;
  private boolean dataDigest;
  private boolean initialR2t = true;
  private boolean immediateData = true;
  private int sendSegmentBytes;
  private int maxBurstBytes;
  private int firstBurstBytes;
  private boolean declared;

  Negotiation(boolean allowUnsolicitedData) {
    this.allowUnsolicitedData = allowUnsolicitedData;
    NegotiatedParameters defaults = NegotiatedParameters.defaults();
    sendSegmentBytes = defaults.sendSegmentBytes();
    maxBurstBytes = defaults.maxBurstBytes();
    firstBurstBytes = defaults.firstBurstBytes();
  }

  /** Our answers to the keys of one request. */
  Map<String, String> answer(Map<String, String> offered) throws ProtocolException {
    Map<String, String> answers = new LinkedHashMap<>();
    String maxBurst = offered.get(MAX_BURST_LENGTH);
    if (maxBurst != null) {
      // First, wherever it stands: it bounds the answer to FirstBurstLength (RFC 7143 13.14).
      answerOnce(MAX_BURST_LENGTH, maxBurst, answers);
    }
    for (Map.Entry<String, String> entry : offered.entrySet()) {
      if (!entry.getKey().equals(MAX_BURST_LENGTH)) {
        answerOnce(entry.getKey(), entry.getValue(), answers);
      }
    }
    if (!declared) {
      declared = true;
      answers.put(MAX_RECV_DATA_SEGMENT_LENGTH, Integer.toString(BufferPool.MAX_SEGMENT_BYTES));
    }
    return answers;
  }

  private void answerOnce(String key, String value, Map<String, String> answers)
      throws ProtocolException {
    if (!answered.add(key)) {
      throw new ProtocolException("key " + key + " negotiated twice");
    }
    String answer = answerOne(key, value);
    if (!answer.isEmpty()) {
      answers.put(key, answer);
    }
  }

  /** The answer to a key that comes in the full feature phase (RFC 7143 13: its use). */
  static String answerLate(String key, String value, NegotiatedParameters parameters)
      throws ProtocolException {
    return switch (key) {
      case MAX_RECV_DATA_SEGMENT_LENGTH -> {
        parameters.sendSegmentBytes(segmentLength(value));
        yield "";
      }
      case "InitiatorAlias" -> "";
      default -> LOGIN_ONLY.contains(key) ? "Reject" : "NotUnderstood";
    };
  }

  private static int segmentLength(String value) throws ProtocolException {
    return number(MAX_RECV_DATA_SEGMENT_LENGTH, value, 512, MAX_24_BIT);
  }

  NegotiatedParameters result() {
    // Agreed on before MaxBurstLength, it may be larger, which is what its sender keeps to then.
    boolean agreed = answered.contains(FIRST_BURST_LENGTH);
    return new NegotiatedParameters(
        headerDigest,
        dataDigest,
        initialR2t,
        immediateData,
        sendSegmentBytes,
        maxBurstBytes,
        agreed ? firstBurstBytes : Math.min(firstBurstBytes, maxBurstBytes));
  }

  /** The answer to a key, or nothing for one that is only declared. */
  private String answerOne(String key, String value) throws ProtocolException {
    return switch (key) {
      case "HeaderDigest" -> {
        String chosen = chooseDigest(value);
        headerDigest = chosen.equals("CRC32C");
        yield chosen;
      }
      case "DataDigest" -> {
        String chosen = chooseDigest(value);
        dataDigest = chosen.equals("CRC32C");
        yield chosen;
      }
      case "InitialR2T" -> {
        initialR2t = yes(key, value) || !allowUnsolicitedData;
        yield initialR2t ? "Yes" : "No";
      }
      case "ImmediateData" -> {
        immediateData = yes(key, value);
        yield immediateData ? "Yes" : "No";
      }
      case MAX_RECV_DATA_SEGMENT_LENGTH -> {
        sendSegmentBytes = segmentLength(value);
        yield "";
      }
      case MAX_BURST_LENGTH -> {
        maxBurstBytes = Math.min(number(key, value, 512, MAX_24_BIT), BufferPool.MAX_SEGMENT_BYTES);
        yield Integer.toString(maxBurstBytes);
      }
      case FIRST_BURST_LENGTH -> {
        int limit = Math.min(OFFERED_FIRST_BURST_BYTES, maxBurstBytes);
        firstBurstBytes = Math.min(number(key, value, 512, MAX_24_BIT), limit);
        yield Integer.toString(firstBurstBytes);
      }
      case "MaxConnections" -> atMost(key, value, 1, 65535, 1);
      case "MaxOutstandingR2T" -> atMost(key, value, 1, 65535, 1);
      case "ErrorRecoveryLevel" -> atMost(key, value, 0, 2, 0);
      case "DefaultTime2Wait" -> Integer.toString(Math.max(number(key, value, 0, 3600), 2));
      case "DefaultTime2Retain" -> atMost(key, value, 0, 3600, 0);
      case "DataPDUInOrder", "DataSequenceInOrder" -> {
        yes(key, value);
        yield "Yes";
      }
      case "TaskReporting" -> chooseFrom(value, List.of("RFC3720"));
      case "iSCSIProtocolLevel" -> atMost(key, value, 0, 31, 1);
      // Markers left the standard with RFC 7143 (its 2.2); older initiators still offer them.
      case "OFMarker", "IFMarker" -> {
        yes(key, value);
        yield "No";
      }
      case "OFMarkInt", "IFMarkInt" -> "Irrelevant";
      // Declared by the initiator and read by the login phase.
      case "InitiatorName", "InitiatorAlias", "TargetName", "SessionType" -> "";
      default -> "NotUnderstood";
    };
  }

  private static String chooseDigest(String value) {
    return chooseFrom(value, List.of("CRC32C", "None"));
  }

  /** RFC 7143 6.2.1: the first value of the offered list that we support. */
  private static String chooseFrom(String value, List<String> supported) {
    return Arrays.stream(value.split(",", -1))
        .filter(supported::contains)
        .findFirst()
        .orElse("Reject");
  }

  private static boolean yes(String key, String value) throws ProtocolException {
    return switch (value) {
      case "Yes" -> true;
      case "No" -> false;
      default -> throw new ProtocolException(key + "=" + value + ": must be Yes or No");
    };
  }

  private static String atMost(String key, String value, int min, int max, int limit)
      throws ProtocolException {
    return Integer.toString(Math.min(number(key, value, min, max), limit));
  }

  /** A numerical value (RFC 7143 6.1): decimal, or hexadecimal after 0x. */
  static int number(String key, String value, int min, int max) throws ProtocolException {
    int parsed;
    try {
      parsed = (int) Math.clamp(parseNumber(value), -1L, Integer.MAX_VALUE);
    } catch (NumberFormatException e) {
      throw new ProtocolException(key + "=" + value + ": not a number");
    }
    if (parsed < min || parsed > max) {
      throw new ProtocolException(key + "=" + value + ": must be " + min + " to " + max);
    }
    return parsed;
  }

  private static long parseNumber(String value) {
    boolean hex = value.startsWith("0x") || value.startsWith("0X");
    String digits = hex ? value.substring(2) : value;
    if (digits.isEmpty()
        || digits.length() > 12
        || digits.startsWith("-")
        || digits.startsWith("+")) {
      throw new NumberFormatException(value);
    }
    return Long.parseLong(digits, hex ? 16 : 10);
  }
}

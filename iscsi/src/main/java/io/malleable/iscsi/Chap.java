package io.malleable.iscsi;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The target's side of one CHAP exchange (RFC 7143 12.1.3, RFC 1994). Used by one login only. */
final class Chap {
  private static final SecureRandom RANDOM = new SecureRandom();

  /** RFC 7143 12.1.3: a challenge has at most 1024 bytes. */
  private static final int MAX_BINARY_BYTES = 1024;

  private static final int MIN_CHALLENGE_BYTES = 8;

  /** Identifiers of the IANA registry for CHAP algorithms, with their JDK names. */
  enum Algorithm {
    MD5(5, "MD5"),
    SHA1(6, "SHA-1"),
    SHA256(7, "SHA-256"),
    SHA3_256(8, "SHA3-256");

    private final int id;
    private final String digestName;

    Algorithm(int id, String digestName) {
      this.id = id;
      this.digestName = digestName;
    }

    MessageDigest digest() {
      try {
        return MessageDigest.getInstance(digestName);
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException("every Java platform has " + digestName, e);
      }
    }
  }

  private final ChapCredentials expected;
  private final Optional<ChapCredentials> own;
  private final Algorithm algorithm;
  private final byte identifier;
  private final byte[] challenge;

  private Chap(
      ChapCredentials expected,
      Optional<ChapCredentials> own,
      Algorithm algorithm,
      byte identifier,
      byte[] challenge) {
    this.expected = expected;
    this.own = own;
    this.algorithm = algorithm;
    this.identifier = identifier;
    this.challenge = challenge;
  }

  /**
   * Starts an exchange with the first algorithm of the initiator's list that we know.
   *
   * @param offeredAlgorithms value of CHAP_A
   * @return empty when none fits
   */
  static Optional<Chap> begin(
      ChapCredentials expected, Optional<ChapCredentials> own, String offeredAlgorithms) {
    for (String offered : offeredAlgorithms.split(",", -1)) {
      for (Algorithm algorithm : Algorithm.values()) {
        if (offered.equals(Integer.toString(algorithm.id))) {
          byte[] challenge = new byte[algorithm.digest().getDigestLength()];
          RANDOM.nextBytes(challenge);
          return Optional.of(
              new Chap(expected, own, algorithm, (byte) RANDOM.nextInt(256), challenge));
        }
      }
    }
    return Optional.empty();
  }

  Map<String, String> challengeKeys() {
    Map<String, String> keys = new LinkedHashMap<>();
    keys.put("CHAP_A", Integer.toString(algorithm.id));
    keys.put("CHAP_I", Integer.toString(identifier & 0xff));
    keys.put("CHAP_C", hex(challenge));
    return keys;
  }

  /**
   * Checks the initiator's answer and gives ours, if it asked for one.
   *
   * @throws AuthenticationException the peer did not prove that it knows the secret
   */
  Map<String, String> verify(Map<String, String> keys) throws AuthenticationException {
    String user = keys.getOrDefault("CHAP_N", "");
    byte[] response = binary("CHAP_R", keys.get("CHAP_R"));
    byte[] right = response(identifier, expected.secret(), challenge);
    // Both are evaluated always, and in constant time: what was wrong must not show in the delay.
    boolean userMatches =
        MessageDigest.isEqual(
            user.getBytes(StandardCharsets.UTF_8),
            expected.user().getBytes(StandardCharsets.UTF_8));
    boolean secretMatches = MessageDigest.isEqual(right, response);
    if (!userMatches || !secretMatches) {
      throw new AuthenticationException(userMatches ? "wrong CHAP secret" : "wrong CHAP user");
    }
    boolean asksForProof = keys.containsKey("CHAP_I") || keys.containsKey("CHAP_C");
    return asksForProof ? prove(keys) : Map.of();
  }

  private Map<String, String> prove(Map<String, String> keys) throws AuthenticationException {
    if (own.isEmpty()) {
      throw new AuthenticationException("mutual CHAP asked for, none configured for the target");
    }
    byte[] theirs = binary("CHAP_C", keys.get("CHAP_C"));
    if (theirs.length < MIN_CHALLENGE_BYTES || Arrays.equals(theirs, challenge)) {
      // RFC 7143 12.1.3: a reflected challenge would make us answer our own question.
      throw new AuthenticationException("reflected or short CHAP challenge");
    }
    byte theirIdentifier;
    try {
      theirIdentifier =
          (byte) Negotiation.number("CHAP_I", keys.getOrDefault("CHAP_I", ""), 0, 255);
    } catch (ProtocolException e) {
      throw new AuthenticationException(String.valueOf(e.getMessage()));
    }
    ChapCredentials credentials = own.orElseThrow();
    Map<String, String> answer = new LinkedHashMap<>();
    answer.put("CHAP_N", credentials.user());
    answer.put("CHAP_R", hex(response(theirIdentifier, credentials.secret(), theirs)));
    return answer;
  }

  private byte[] response(byte id, String secret, byte[] challengeBytes) {
    MessageDigest digest = algorithm.digest();
    digest.update(id);
    digest.update(secret.getBytes(StandardCharsets.UTF_8));
    digest.update(challengeBytes);
    return digest.digest();
  }

  private static String hex(byte[] bytes) {
    return "0x" + HexFormat.of().formatHex(bytes);
  }

  /** A binary value (RFC 7143 6.1): hexadecimal after 0x, base64 after 0b. */
  static byte[] binary(String key, @Nullable String value) throws AuthenticationException {
    if (value == null || value.length() < 3 || value.length() > 2 + 2 * MAX_BINARY_BYTES) {
      throw new AuthenticationException(key + " is missing, empty or too long");
    }
    String digits = value.substring(2);
    try {
      return switch (value.substring(0, 2)) {
        // Leading zeroes may be left out, so the number of digits may be odd.
        case "0x", "0X" ->
            HexFormat.of().parseHex(digits.length() % 2 == 0 ? digits : "0" + digits);
        case "0b", "0B" -> Base64.getDecoder().decode(digits);
        default -> throw new AuthenticationException(key + " is neither 0x... nor 0b...");
      };
    } catch (IllegalArgumentException e) {
      throw new AuthenticationException(key + " is not a binary value");
    }
  }

  /** The peer failed to prove who it is; the message never holds a secret. */
  static final class AuthenticationException extends Exception {
    AuthenticationException(String message) {
      super(message);
    }
  }
}

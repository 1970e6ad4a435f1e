package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Login: stages, negotiation in any order and any pieces, CHAP in both directions. */
class LoginTest {
  private static final ChapCredentials NODE = new ChapCredentials("node", "correct-horse-battery");
  private static final ChapCredentials TARGET = new ChapCredentials("m2", "staple-of-the-target");

  /** From security stage to operational negotiation, and on to the full feature phase. */
  private static final int SECURITY_TO_OPERATIONAL = 0x81;

  private static final int SECURITY_STAYS = 0x00;
  private static final int OPERATIONAL_TO_FULL = 0x87;

  private static final Map<String, String> OFFER = new LinkedHashMap<>();

  static {
    OFFER.put("HeaderDigest", "CRC32C,None");
    OFFER.put("DataDigest", "None,CRC32C");
    OFFER.put("InitialR2T", "No");
    OFFER.put("ImmediateData", "Yes");
    OFFER.put("MaxRecvDataSegmentLength", "0x10000");
    OFFER.put("MaxBurstLength", "16776192");
    OFFER.put("FirstBurstLength", "1048576");
    OFFER.put("MaxConnections", "8");
    OFFER.put("MaxOutstandingR2T", "16");
    OFFER.put("ErrorRecoveryLevel", "2");
    OFFER.put("DefaultTime2Wait", "0");
    OFFER.put("DefaultTime2Retain", "60");
    OFFER.put("DataPDUInOrder", "No");
    OFFER.put("DataSequenceInOrder", "No");
    OFFER.put("TaskReporting", "FastAbort,RFC3720");
    OFFER.put("iSCSIProtocolLevel", "2");
    OFFER.put("IFMarker", "Yes");
    OFFER.put("OFMarkInt", "1~65535");
    OFFER.put("X-com.example.key", "value");
  }

  private static final Map<String, String> ANSWER =
      Map.ofEntries(
          Map.entry("HeaderDigest", "CRC32C"),
          Map.entry("DataDigest", "None"),
          Map.entry("InitialR2T", "No"),
          Map.entry("ImmediateData", "Yes"),
          Map.entry("MaxRecvDataSegmentLength", "262144"),
          Map.entry("MaxBurstLength", "262144"),
          Map.entry("FirstBurstLength", "131072"),
          Map.entry("MaxConnections", "1"),
          Map.entry("MaxOutstandingR2T", "1"),
          Map.entry("ErrorRecoveryLevel", "0"),
          Map.entry("DefaultTime2Wait", "2"),
          Map.entry("DefaultTime2Retain", "0"),
          Map.entry("DataPDUInOrder", "Yes"),
          Map.entry("DataSequenceInOrder", "Yes"),
          Map.entry("TaskReporting", "RFC3720"),
          Map.entry("iSCSIProtocolLevel", "1"),
          Map.entry("IFMarker", "No"),
          Map.entry("OFMarkInt", "Irrelevant"),
          Map.entry("X-com.example.key", "NotUnderstood"));

  @Test
  void everyKeyIsAnsweredAlikeInWhateverOrderTheyCome() throws ProtocolException {
    Random random = new Random(7143);
    for (int round = 0; round < 50; round++) {
      List<Map.Entry<String, String>> shuffled = new ArrayList<>(OFFER.entrySet());
      Collections.shuffle(shuffled, random);
      Negotiation negotiation = new Negotiation(true);
      Map<String, String> answers = new LinkedHashMap<>();
      int pieces = 1 + random.nextInt(4);
      for (int piece = 0; piece < pieces; piece++) {
        Map<String, String> part = new LinkedHashMap<>();
        for (int i = piece; i < shuffled.size(); i += pieces) {
          part.put(shuffled.get(i).getKey(), shuffled.get(i).getValue());
        }
        answers.putAll(negotiation.answer(part));
      }
      assertEquals(ANSWER, answers);
      assertEquals(
          new NegotiatedParameters(true, false, false, true, 65536, 262144, 131072).toString(),
          negotiation.result().toString());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "InitialR2T, Maybe",
    "MaxBurstLength, 511",
    "MaxBurstLength, -1",
    "MaxBurstLength, many",
    "MaxRecvDataSegmentLength, 16777216",
    "MaxRecvDataSegmentLength, 0x",
    "ErrorRecoveryLevel, 3",
    "MaxConnections, 0"
  })
  void aValueOutsideOfItsRangeEndsTheLogin(String key, String value) {
    assertThrows(ProtocolException.class, () -> new Negotiation(true).answer(Map.of(key, value)));
  }

  @Test
  void aKeyIsNegotiatedOnce() throws ProtocolException {
    Negotiation negotiation = new Negotiation(true);
    assertFalse(negotiation.answer(Map.of("ImmediateData", "Yes")).isEmpty());
    assertThrows(ProtocolException.class, () -> negotiation.answer(Map.of("ImmediateData", "No")));
  }

  @Test
  void everyKeyIsAnsweredAlikeInWhateverOrderAndPiecesTheyAreSent() throws IOException {
    Random random = new Random(7143);
    byte[] data = new byte[40 * 512];
    random.nextBytes(data);
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20))) {
      for (int round = 0; round < 20; round++) {
        List<Map.Entry<String, String>> shuffled = new ArrayList<>(OFFER.entrySet());
        // The digests of this initiator are set by what one request brings.
        shuffled.removeIf(entry -> entry.getKey().equals("HeaderDigest"));
        Collections.shuffle(shuffled, random);
        shuffled.add(0, Map.entry("TargetName", TestServer.TARGET));
        shuffled.add(random.nextInt(2), Map.entry("InitiatorName", TestServer.INITIATOR));
        try (RawInitiator initiator = new RawInitiator(server.address())) {
          Map<String, String> answers = new LinkedHashMap<>();
          int requests = 1 + random.nextInt(5);
          int first = 2 + random.nextInt(4);
          for (int i = 0; i < requests; i++) {
            Map<String, String> part = new LinkedHashMap<>();
            int from = i == 0 ? 0 : first + (shuffled.size() - first) * (i - 1) / requests;
            int to =
                i == requests - 1
                    ? shuffled.size()
                    : first + (shuffled.size() - first) * i / requests;
            shuffled.subList(from, to).forEach(e -> part.put(e.getKey(), e.getValue()));
            byte[] text = RawInitiator.text(part);
            int sent = 0;
            while (text.length - sent > 1 && random.nextInt(3) > 0) {
              int length = 1 + random.nextInt(text.length - sent - 1);
              byte[] piece = Arrays.copyOfRange(text, sent, sent + length);
              assertEquals(0, initiator.loginRequest(0x44, piece).data().length);
              sent += length;
            }
            int flags = i == requests - 1 ? OPERATIONAL_TO_FULL : 0x04;
            Pdu answer = initiator.loginRequest(flags, Arrays.copyOfRange(text, sent, text.length));
            assertEquals(0, answer.loginStatus());
            answers.putAll(TextKeys.parse(answer.data()));
          }
          Map<String, String> expected = new LinkedHashMap<>(ANSWER);
          expected.remove("HeaderDigest");
          expected.put("TargetPortalGroupTag", "1");
          assertEquals(expected, answers);
          initiator.ready();
          assertEquals(0, initiator.write(1, data, 512).scsiStatus());
          assertArrayEquals(data, initiator.read(1, 40, 512));
          assertEquals(0x26, initiator.logout().opcode());
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "ImmediateData, Maybe",
    "MaxBurstLength, 511",
    "ErrorRecoveryLevel, many",
    "InitiatorName, iqn.2026-11.io.malleable.node:again"
  })
  void aWrongValueAndAKeyThatComesTwiceAreToldToTheInitiator(String key, String value)
      throws IOException {
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
        RawInitiator initiator = new RawInitiator(server.address())) {
      String text =
          "InitiatorName="
              + TestServer.INITIATOR
              + "\0TargetName="
              + TestServer.TARGET
              + "\0"
              + key
              + "="
              + value
              + "\0";
      Pdu answer =
          initiator.loginRequest(OPERATIONAL_TO_FULL, text.getBytes(StandardCharsets.UTF_8));
      assertEquals(0x23, answer.opcode());
      assertEquals(0x0200, answer.loginStatus());
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void aKeyThatComesAgainInALaterRequestIsToldToTheInitiator() throws IOException {
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
        RawInitiator initiator = new RawInitiator(server.address())) {
      Map<String, String> keys = new LinkedHashMap<>();
      keys.put("InitiatorName", TestServer.INITIATOR);
      keys.put("TargetName", TestServer.TARGET);
      keys.put("ImmediateData", "Yes");
      assertEquals(0, initiator.loginRequest(0x04, RawInitiator.text(keys)).loginStatus());
      byte[] again = RawInitiator.text(Map.of("ImmediateData", "No"));
      assertEquals(0x0200, initiator.loginRequest(0x04, again).loginStatus());
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void theFirstBurstIsNeverAnsweredLargerThanTheLongest() throws ProtocolException {
    Map<String, String> offer = new LinkedHashMap<>();
    offer.put("FirstBurstLength", "65536");
    offer.put("MaxBurstLength", "16384");
    Negotiation negotiation = new Negotiation(true);
    Map<String, String> answers = negotiation.answer(offer);
    assertEquals("16384", answers.get("FirstBurstLength"));
    assertEquals(16384, negotiation.result().firstBurstBytes());
    Negotiation silent = new Negotiation(true);
    assertEquals("16384", silent.answer(Map.of("MaxBurstLength", "16384")).get("MaxBurstLength"));
    assertEquals(16384, silent.result().firstBurstBytes(), "the default gives way as well");
  }

  @Test
  void aRequestMayBeSplitAtAnyByte() throws IOException {
    Map<String, String> keys = new LinkedHashMap<>();
    keys.put("InitiatorName", TestServer.INITIATOR);
    keys.put("TargetName", TestServer.TARGET);
    keys.put("ImmediateData", "No");
    byte[] text = RawInitiator.text(keys);
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20))) {
      for (int at = 1; at < text.length; at += 5) {
        try (RawInitiator initiator = new RawInitiator(server.address())) {
          Pdu more = initiator.loginRequest(0x44, Arrays.copyOf(text, at));
          assertEquals(0, more.flags() & 0x80, "no transit yet");
          assertEquals(0, more.data().length);
          Pdu last =
              initiator.loginRequest(
                  OPERATIONAL_TO_FULL, Arrays.copyOfRange(text, at, text.length));
          assertEquals(0, last.loginStatus());
          assertEquals("No", TextKeys.parse(last.data()).get("ImmediateData"));
          initiator.ready();
        }
      }
    }
  }

  private static TestServer guarded(Optional<ChapCredentials> mutual) throws IOException {
    Access access = new Access(Set.of(TestServer.INITIATOR), Optional.of(NODE), mutual);
    return TestServer.serving(
        List.of(
            new TargetDefinition(TestServer.TARGET, Map.of(0, new MemoryUnit(1 << 20)), access)),
        ReservationStore.none(),
        new TargetListener() {},
        config ->
            new IscsiServerConfig(
                config.portals(),
                16,
                4,
                16,
                config.maxBufferBytes(),
                Duration.ofMinutes(2),
                Duration.ofMinutes(2),
                Duration.ofMinutes(2),
                Duration.ZERO,
                Duration.ZERO));
  }

  private static Map<String, String> challenge(RawInitiator initiator, String algorithms)
      throws IOException {
    Map<String, String> keys = new LinkedHashMap<>();
    keys.put("InitiatorName", TestServer.INITIATOR);
    keys.put("TargetName", TestServer.TARGET);
    keys.put("AuthMethod", "CHAP,None");
    Pdu first = initiator.loginRequest(SECURITY_STAYS, RawInitiator.text(keys));
    assertEquals("CHAP", TextKeys.parse(first.data()).get("AuthMethod"));
    assertEquals("1", TextKeys.parse(first.data()).get("TargetPortalGroupTag"));
    Pdu second =
        initiator.loginRequest(SECURITY_STAYS, RawInitiator.text(Map.of("CHAP_A", algorithms)));
    return TextKeys.parse(second.data());
  }

  private static String response(String digest, Map<String, String> asked, String secret)
      throws Exception {
    return response(
        digest, asked.getOrDefault("CHAP_I", ""), secret, asked.getOrDefault("CHAP_C", ""));
  }

  private static String response(String digest, String id, String secret, String challenge)
      throws Exception {
    MessageDigest md = MessageDigest.getInstance(digest);
    md.update((byte) Integer.parseInt(id));
    md.update(secret.getBytes(StandardCharsets.UTF_8));
    md.update(HexFormat.of().parseHex(challenge.substring(2)));
    return "0x" + HexFormat.of().formatHex(md.digest());
  }

  @ParameterizedTest
  @CsvSource({"5, MD5", "7, SHA-256", "8, SHA3-256", "6, SHA-1"})
  void chapWorksWithEveryAlgorithmAndBothWays(String algorithm, String digest) throws Exception {
    try (TestServer server = guarded(Optional.of(TARGET));
        RawInitiator initiator = new RawInitiator(server.address())) {
      Map<String, String> asked = challenge(initiator, "99," + algorithm);
      assertEquals(algorithm, asked.get("CHAP_A"));
      Map<String, String> answer = new LinkedHashMap<>();
      answer.put("CHAP_N", NODE.user());
      answer.put("CHAP_R", response(digest, asked, NODE.secret()));
      answer.put("CHAP_I", "77");
      answer.put("CHAP_C", "0x00112233445566778899aabbccddeeff");
      Pdu third = initiator.loginRequest(SECURITY_TO_OPERATIONAL, RawInitiator.text(answer));
      assertEquals(0, third.loginStatus());
      Map<String, String> proof = TextKeys.parse(third.data());
      assertEquals(TARGET.user(), proof.get("CHAP_N"));
      assertEquals(
          response(digest, "77", TARGET.secret(), "0x00112233445566778899aabbccddeeff"),
          proof.get("CHAP_R"));
      assertEquals(0, initiator.loginRequest(OPERATIONAL_TO_FULL, new byte[0]).loginStatus());
      initiator.ready();
    }
  }

  @Test
  void aReflectedChallengeIsRefused() throws Exception {
    try (TestServer server = guarded(Optional.of(TARGET));
        RawInitiator initiator = new RawInitiator(server.address())) {
      Map<String, String> asked = challenge(initiator, "5");
      Map<String, String> answer = new LinkedHashMap<>();
      answer.put("CHAP_N", NODE.user());
      answer.put("CHAP_R", response("MD5", asked, NODE.secret()));
      answer.put("CHAP_I", asked.getOrDefault("CHAP_I", ""));
      answer.put("CHAP_C", asked.getOrDefault("CHAP_C", ""));
      Pdu refusal = initiator.loginRequest(SECURITY_TO_OPERATIONAL, RawInitiator.text(answer));
      assertEquals(0x0201, refusal.loginStatus());
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void withoutProofNoStageLeadsIn() throws Exception {
    try (TestServer server = guarded(Optional.empty())) {
      try (RawInitiator initiator = new RawInitiator(server.address())) {
        assertEquals(0x0201, initiator.login(TestServer.INITIATOR).loginStatus());
      }
      try (RawInitiator initiator = new RawInitiator(server.address())) {
        challenge(initiator, "5");
        Map<String, String> none = Map.of("CHAP_N", NODE.user(), "CHAP_R", "0x00");
        assertEquals(
            0x0201,
            initiator.loginRequest(SECURITY_TO_OPERATIONAL, RawInitiator.text(none)).loginStatus());
      }
      try (RawInitiator initiator = new RawInitiator(server.address())) {
        challenge(initiator, "5");
        // Asking to go on without an answer leaves the login where it is.
        Pdu answer = initiator.loginRequest(0x83, RawInitiator.text(Map.of("AuthMethod", "CHAP")));
        assertEquals(0, answer.flags() & 0x80);
      }
      assertEquals(2, server.server().counters().authenticationFailures());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "iqn.2026-11.io.malleable.node:tester, iqn.2026-11.io.malleable:none, 0x0203",
    "iqn.2026-11.io.malleable.node:other, iqn.2026-11.io.malleable:test, 0x0202",
    "not a name, iqn.2026-11.io.malleable:test, 0x0200",
    "'', iqn.2026-11.io.malleable:test, 0x0207",
    "iqn.2026-11.io.malleable.node:tester, '', 0x0207"
  })
  void whoeverMayNotLogInIsToldWhy(String initiatorName, String target, String status)
      throws IOException {
    try (TestServer server = guarded(Optional.empty());
        RawInitiator initiator = new RawInitiator(server.address())) {
      Map<String, String> keys = Map.of("InitiatorName", initiatorName, "TargetName", target);
      Pdu answer = initiator.loginRequest(SECURITY_STAYS, RawInitiator.text(keys));
      assertEquals(Integer.decode(status), answer.loginStatus());
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void secretsNeverShowInText() {
    assertFalse(Access.of(TestServer.INITIATOR, NODE).toString().contains(NODE.secret()));
    IllegalArgumentException tooShort =
        assertThrows(IllegalArgumentException.class, () -> new ChapCredentials("user", "hunter2"));
    assertFalse(String.valueOf(tooShort.getMessage()).contains("hunter2"));
  }
}

package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The login of one connection (RFC 7143 6.3, 11.12, 11.13): stages, authentication, negotiation.
 * Owned by the connection thread.
 */
final class LoginPhase {
  private static final int TRANSIT_BIT = 0x80;
  private static final int SECURITY = 0;
  private static final int OPERATIONAL = 1;
  private static final int FULL_FEATURE = 3;

  /** Far more than any negotiation takes; ends one that goes in circles. */
  private static final int MAX_REQUESTS = 32;

  private static final Set<String> SECURITY_KEYS =
      Set.of("AuthMethod", "CHAP_A", "CHAP_I", "CHAP_C", "CHAP_N", "CHAP_R");

  private final TargetRegistry registry;
  private final Connection connection;
  private final PduReader reader;
  private final PduWriter out;
  private final TextKeys text = new TextKeys();
  private final Negotiation negotiation = new Negotiation(true);

  private boolean begun;
  private int initiatorTaskTag;
  private long isid;
  private int connectionId;
  private int stage;
  private int initialCmdSn;
  private String initiatorName = "";
  private String targetName = "";
  private boolean discovery;
  private @Nullable Target target;
  private @Nullable Chap chap;
  private boolean authenticated;
  private boolean portalGroupTold;

  LoginPhase(TargetRegistry registry, Connection connection, PduReader reader, PduWriter out) {
    this.registry = registry;
    this.connection = connection;
    this.reader = reader;
    this.out = out;
  }

  String initiatorName() {
    return initiatorName;
  }

  String targetName() {
    return targetName;
  }

  int initialCmdSn() {
    return initialCmdSn;
  }

  /**
   * Talks until the initiator may enter the full feature phase. The last answer is not sent yet:
   * the connection flushes it once the session is registered.
   */
  Session run() throws IOException, LoginException {
    for (int i = 0; i < MAX_REQUESTS; i++) {
      while (!reader.next()) {
        reader.fill();
      }
      Session session = onRequest();
      if (session != null) {
        return session;
      }
      out.flush();
    }
    throw new LoginException(
        LoginException.INITIATOR_ERROR, "more than " + MAX_REQUESTS + " login requests");
  }

  private @Nullable Session onRequest() throws IOException, LoginException {
    RequestHeader header = reader.header();
    if (header.opcode() != Opcode.LOGIN_REQUEST) {
      throw new ProtocolException("opcode " + header.opcode() + " before login");
    }
    readHeader(header);
    try {
      return onText(header.flags());
    } catch (ProtocolException e) {
      throw new LoginException(LoginException.INITIATOR_ERROR, String.valueOf(e.getMessage()));
    }
  }

  /** What the keys of a request ask for; whatever is wrong with them is told to the initiator. */
  private @Nullable Session onText(int flags) throws IOException, LoginException {
    text.append(reader.buffer().clear(), reader.dataOffset(), reader.dataLength());
    if ((flags & Bhs.CONTINUE_BIT) != 0) {
      if ((flags & TRANSIT_BIT) != 0) {
        throw new LoginException(LoginException.INITIATOR_ERROR, "login request with both T and C");
      }
      respond(stage << 2, 0, new byte[0], 0);
      return null;
    }
    Map<String, String> offered = text.take();
    if (initiatorName.isEmpty()) {
      identify(offered);
    }
    Map<String, String> answers = new LinkedHashMap<>();
    if (stage == SECURITY) {
      authenticate(offered, answers);
      Map<String, String> rest = new LinkedHashMap<>(offered);
      rest.keySet().removeAll(SECURITY_KEYS);
      rest.keySet()
          .removeAll(Set.of("InitiatorName", "InitiatorAlias", "TargetName", "SessionType"));
      if (!rest.isEmpty()) {
        answers.putAll(negotiation.answer(rest));
      }
    } else {
      requireAuthenticated();
      Map<String, String> rest = new LinkedHashMap<>(offered);
      rest.keySet()
          .removeAll(Set.of("InitiatorName", "InitiatorAlias", "TargetName", "SessionType"));
      answers.putAll(negotiation.answer(rest));
    }
    return advance(flags, answers);
  }

  private void readHeader(RequestHeader header) throws LoginException {
    int currentStage = (header.flags() >> 2) & 0x3;
    if (!begun) {
      begun = true;
      initiatorTaskTag = header.initiatorTaskTag();
      isid = header.longAt(Bhs.ISID_OFFSET) >>> 16;
      connectionId = header.shortAt(Bhs.CID_OFFSET);
      connection.connectionId(connectionId);
      initialCmdSn = header.cmdSn();
      stage = currentStage;
      connection.window(new CommandWindow(initialCmdSn, connection.config().commandWindow()));
      int tsih = header.shortAt(Bhs.TSIH_OFFSET);
      if (header.byteAt(Bhs.STATUS_OFFSET) != 0) {
        throw new LoginException(
            LoginException.UNSUPPORTED_VERSION, "version-min above 0, the only one there is");
      }
      if (tsih != 0) {
        // MaxConnections is 1, so a session never takes a second connection.
        throw new LoginException(
            LoginException.SESSION_DOES_NOT_EXIST, "login to an existing session " + tsih);
      }
    }
    if (header.initiatorTaskTag() != initiatorTaskTag
        || header.shortAt(Bhs.CID_OFFSET) != connectionId
        || currentStage != stage
        || currentStage > OPERATIONAL) {
      throw new LoginException(
          LoginException.INVALID_DURING_LOGIN,
          "login request in stage " + currentStage + " where " + stage + " was due");
    }
  }

  /** The first complete request says who wants what (RFC 7143 6.3.1). */
  private void identify(Map<String, String> offered) throws LoginException {
    String initiator = offered.getOrDefault("InitiatorName", "");
    if (initiator.isEmpty()) {
      throw new LoginException(LoginException.MISSING_PARAMETER, "InitiatorName is missing");
    }
    if (!IscsiName.valid(initiator)) {
      throw new LoginException(
          LoginException.INITIATOR_ERROR, "InitiatorName is not an iSCSI name");
    }
    initiatorName = initiator;
    switch (offered.getOrDefault("SessionType", "Normal")) {
      case "Normal" -> identifyTarget(offered.getOrDefault("TargetName", ""));
      case "Discovery" -> {
        discovery = true;
        authenticated = true;
      }
      default ->
          throw new LoginException(
              LoginException.SESSION_TYPE_NOT_SUPPORTED, "SessionType is neither known one");
    }
  }

  private void identifyTarget(String name) throws LoginException {
    if (name.isEmpty()) {
      throw new LoginException(LoginException.MISSING_PARAMETER, "TargetName is missing");
    }
    targetName = IscsiName.valid(name) ? name : "(not an iSCSI name)";
    Target found = registry.find(name);
    if (found == null) {
      throw new LoginException(LoginException.NOT_FOUND, "no such target");
    }
    if (!found.access().admits(initiatorName)) {
      throw new LoginException(
          LoginException.AUTHORIZATION_FAILURE, "the target is not for this initiator");
    }
    target = found;
    authenticated = found.access().chap().isEmpty();
  }

  private void requireAuthenticated() throws LoginException {
    if (!authenticated) {
      throw new LoginException(
          LoginException.AUTHENTICATION_FAILURE, "the target wants CHAP first");
    }
  }

  private void authenticate(Map<String, String> offered, Map<String, String> answers)
      throws LoginException {
    String methods = offered.get("AuthMethod");
    if (methods != null) {
      answers.put("AuthMethod", chooseMethod(methods));
    }
    Target wanted = target;
    if (authenticated || wanted == null) {
      return;
    }
    Access access = wanted.access();
    if (offered.containsKey("CHAP_A")) {
      Optional<Chap> begunChap =
          Chap.begin(
              access.chap().orElseThrow(), access.mutualChap(), offered.getOrDefault("CHAP_A", ""));
      if (begunChap.isEmpty() || chap != null) {
        throw new LoginException(
            LoginException.AUTHENTICATION_FAILURE, "no CHAP algorithm in common");
      }
      Chap started = begunChap.orElseThrow();
      chap = started;
      answers.putAll(started.challengeKeys());
    } else if (offered.containsKey("CHAP_R")) {
      Chap started = chap;
      if (started == null) {
        throw new LoginException(
            LoginException.AUTHENTICATION_FAILURE, "CHAP response before a challenge");
      }
      try {
        answers.putAll(started.verify(offered));
      } catch (Chap.AuthenticationException e) {
        throw new LoginException(
            LoginException.AUTHENTICATION_FAILURE, String.valueOf(e.getMessage()));
      }
      authenticated = true;
    } else if (methods == null) {
      requireAuthenticated();
    }
  }

  private String chooseMethod(String methods) throws LoginException {
    String needed = authenticated ? "None" : "CHAP";
    for (String method : methods.split(",", -1)) {
      if (method.equals(needed)) {
        return needed;
      }
    }
    throw new LoginException(
        LoginException.AUTHENTICATION_FAILURE, "AuthMethod does not offer " + needed);
  }

  private @Nullable Session advance(int flags, Map<String, String> answers)
      throws IOException, LoginException {
    if (!portalGroupTold && !discovery) {
      portalGroupTold = true;
      answers.put("TargetPortalGroupTag", Integer.toString(connection.portal().groupTag()));
    }
    boolean wantsTransit = (flags & TRANSIT_BIT) != 0;
    int nextStage = flags & 0x3;
    if (wantsTransit && (nextStage <= stage || nextStage == 2)) {
      throw new LoginException(
          LoginException.INVALID_DURING_LOGIN,
          "transit from stage " + stage + " to stage " + nextStage);
    }
    byte[] data = TextKeys.encode(answers);
    if (!wantsTransit || !authenticated) {
      respond(stage << 2, 0, data, 0);
      return null;
    }
    int responseFlags = TRANSIT_BIT | (stage << 2) | nextStage;
    if (nextStage != FULL_FEATURE) {
      respond(responseFlags, 0, data, 0);
      stage = nextStage;
      return null;
    }
    Nexus nexus = new Nexus(initiatorName, isid, connection.portal().groupTag());
    Session session =
        new Session(connection, target, nexus, registry.nextTsih(), negotiation.result());
    respond(responseFlags, session.tsih(), data, 0);
    return session;
  }

  private void respond(int flags, int tsih, byte[] data, int status) throws IOException {
    ByteBuffer segment =
        out.begin(
            Opcode.LOGIN_RESPONSE, flags, initiatorTaskTag, Outbound.STAT_SN_USED, data.length);
    segment.put(data);
    out.putLong(Bhs.ISID_OFFSET, (isid << 16) | tsih).putShort(Bhs.LOGIN_STATUS_OFFSET, status);
    out.end();
  }

  /** Tells the initiator why it may not log in; the connection is closed afterwards. */
  void refuse(LoginException reason) throws IOException {
    out.discard();
    respond(stage << 2, 0, new byte[0], reason.status());
    out.flush();
  }
}

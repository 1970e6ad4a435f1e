package io.malleable.iscsi;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;

/**
 * Text requests in the full feature phase (RFC 7143 11.10, 11.11): SendTargets and what may still
 * be negotiated, in answers that may take several PDUs. Owned by the connection thread.
 */
final class TextExchange {
  private final Session session;
  private final TargetRegistry registry;
  private final CommandWindow window;
  private final PduReader reader;
  private final PduWriter out;
  private final TextKeys request = new TextKeys();
  private byte[] answer = new byte[0];
  private int answered;
  private int transferTag;

  TextExchange(
      Session session,
      TargetRegistry registry,
      CommandWindow window,
      PduReader reader,
      PduWriter out) {
    this.session = session;
    this.registry = registry;
    this.window = window;
    this.reader = reader;
    this.out = out;
  }

  void onRequest() throws IOException {
    RequestHeader header = reader.header();
    if (!window.admit(header.cmdSn(), header.immediate())) {
      return;
    }
    boolean continues = answered < answer.length;
    if (header.targetTransferTag() != Bhs.RESERVED_TAG
        && header.targetTransferTag() != transferTag) {
      throw new ProtocolException("text request with a transfer tag that is not ours");
    }
    if (continues && header.targetTransferTag() != Bhs.RESERVED_TAG) {
      respond();
      return;
    }
    if (header.targetTransferTag() == Bhs.RESERVED_TAG) {
      // A new negotiation resets the old one: RFC 7143 11.10.4.
      answer = new byte[0];
      answered = 0;
      request.reset();
    }
    request.append(reader.buffer().clear(), reader.dataOffset(), reader.dataLength());
    boolean more = (header.flags() & Bhs.CONTINUE_BIT) != 0;
    if (more) {
      transferTag = nextTag();
      begin(0, 0, transferTag);
      out.end();
      return;
    }
    answer = answer(request.take());
    answered = 0;
    respond();
  }

  private int nextTag() {
    int next = transferTag + 1;
    return next == Bhs.RESERVED_TAG ? 0 : next;
  }

  private void respond() throws IOException {
    int limit = Math.min(session.parameters().sendSegmentBytes(), PduWriter.maxDataBytes());
    int chunk = Math.min(limit, answer.length - answered);
    boolean last = answered + chunk == answer.length;
    int tag = Bhs.RESERVED_TAG;
    if (!last) {
      transferTag = nextTag();
      tag = transferTag;
    }
    ByteBuffer data = begin(chunk, last ? Bhs.FINAL_BIT : Bhs.CONTINUE_BIT, tag);
    data.put(answer, answered, chunk);
    out.end();
    answered += chunk;
  }

  private ByteBuffer begin(int dataBytes, int flags, int tag) throws IOException {
    int initiatorTaskTag = reader.header().initiatorTaskTag();
    ByteBuffer data =
        out.begin(Opcode.TEXT_RESPONSE, flags, initiatorTaskTag, Outbound.STAT_SN_USED, dataBytes);
    out.putInt(Bhs.TARGET_TRANSFER_TAG_OFFSET, tag);
    return data;
  }

  private byte[] answer(Map<String, String> keys) throws ProtocolException {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    for (Map.Entry<String, String> entry : keys.entrySet()) {
      String key = entry.getKey();
      if (key.equals("SendTargets")) {
        sendTargets(text, entry.getValue());
        continue;
      }
      String late = Negotiation.answerLate(key, entry.getValue(), session.parameters());
      if (!late.isEmpty()) {
        TextKeys.write(text, key, late);
      }
    }
    return text.toByteArray();
  }

  /** RFC 7143 Appendix C: in a normal session only the session's own target is told. */
  private void sendTargets(ByteArrayOutputStream text, String value) {
    Target own = session.target();
    String initiator = session.nexus().initiatorName();
    for (Target target : registry.targets()) {
      boolean asked =
          own == null
              ? value.equals("All") || value.equals(target.name())
              : own == target && (value.isEmpty() || value.equals(target.name()));
      if (asked && target.access().admits(initiator)) {
        TextKeys.write(text, "TargetName", target.name());
        for (String address : registry.addressesFor(session.connection())) {
          TextKeys.write(text, "TargetAddress", address);
        }
      }
    }
    if (text.size() == 0 && own != null) {
      TextKeys.write(text, "SendTargets", "Reject");
    }
  }
}

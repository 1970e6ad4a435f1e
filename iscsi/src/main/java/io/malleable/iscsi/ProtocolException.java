package io.malleable.iscsi;

import java.io.IOException;

/** The peer broke the protocol in a way that ends its connection; no other one notices. */
final class ProtocolException extends IOException {
  ProtocolException(String message) {
    super(message);
  }
}

#!/bin/sh
# Shows the dashboard on a screen at the Pi: copy to ~/.config/labwc/autostart on Raspberry Pi OS with desktop.
# Another address: a page of this dashboard, such as https://127.0.0.1:8080/health.
address=${AFFECT_EDGE_SCREEN:-https://127.0.0.1:8080/}
host=${address#https://}
host=${host%%/*}

public_key() { # of the certificate with which the dashboard answers; nothing until it does
  openssl s_client -connect "$host" </dev/null 2>/dev/null | openssl x509 -noout -pubkey 2>/dev/null
}

show() {
  until key=$(public_key) && [ -n "$key" ]; do sleep 2; done
  # The appliance signs its own certificate. It is on this machine, so the browser is told to believe this key and no other.
  pin=$(echo "$key" | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)
  browser=$(command -v chromium || command -v chromium-browser)
  "$browser" --kiosk --no-first-run --noerrdialogs --disable-session-crashed-bubble --password-store=basic \
    --user-data-dir="$HOME/.config/affect-edge-screen" --ignore-certificate-errors-spki-list="$pin" "$address"
}

show &

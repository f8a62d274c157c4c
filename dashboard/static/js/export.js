// Empty fields are left out of the address, and sessions must be chosen before they can be downloaded.

for (const form of document.querySelectorAll("form")) {
  for (const hidden of form.querySelectorAll("input[type=hidden]")) {
    form.addEventListener("submit", () => {
      hidden.disabled = !hidden.value;
    });
  }
}

const choice = document.querySelector("form[data-needs-choice]");
const boxes = [...(choice?.querySelectorAll("input[type=checkbox]") ?? [])];
if (boxes.length) {
  const update = () => {
    choice.querySelector("button[type=submit]").disabled = !boxes.some((box) => box.checked);
  };
  choice.addEventListener("change", update);
  choice.querySelector("[data-choose-all]").addEventListener("click", () => {
    const all = boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = !all;
    update();
  });
  update();
}

//! The state of this VM, which all its contexts share.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::envoy::wasi;
use crate::event::vm::Vm;

thread_local! {
    /// The state that both roles share: the VM has one thread.
    static VM: OnceCell<Rc<Vm>> = const { OnceCell::new() };
}

pub(super) fn vm() -> Rc<Vm> {
    VM.with(|cell| Rc::clone(cell.get_or_init(|| Rc::new(Vm::new(&wasi::entropy())))))
}
